"""An RDS activity stream switched on and off, and CloudFormation's request for it."""
