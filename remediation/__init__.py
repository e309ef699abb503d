"""Templates of remedies: commands, Terraform and CloudFormation, filled in by `daswatch.fleet.remedy`."""
