provider "aws" {
  alias               = "$label"
  region              = $region
  allowed_account_ids = [$account]
}
