output "outputs" {
  description = "The outputs of the stack by their names in template.yaml, like outputs[\"Dashboards\"]."
  value       = aws_cloudformation_stack.daswatch.outputs
}

output "stack_id" {
  description = "ARN of the stack."
  value       = aws_cloudformation_stack.daswatch.id
}
