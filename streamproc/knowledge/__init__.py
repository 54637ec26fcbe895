"""What people publish: the tag repository, their judgements, and passages of knowledge."""
