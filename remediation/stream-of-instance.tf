
# The AWS provider has no resource for the activity stream of an RDS instance: aws_rds_cluster_activity_stream starts it
# and then fails, because it looks for a cluster (github.com/hashicorp/terraform-provider-aws/issues/36468). After
# `terraform apply`, start it with:
#   $start
$effects
