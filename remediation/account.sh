# Use credentials of account $account_in_words.
aws sts get-caller-identity --query Account --output text
