"""The Faust app: agents, offset ledger, delivery of outcomes, dead letters. Nothing else imports Faust."""
