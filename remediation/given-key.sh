key=$key
