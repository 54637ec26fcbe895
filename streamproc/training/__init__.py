"""Making the models that a bundle carries: distillation, fine-tuning, calibration and export.

Needs the ``train`` extra; nothing that serves imports this package.
"""
