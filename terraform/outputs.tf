output "outputs" {
  description = "Outputs of the stack by their names in template.yaml, such as outputs[\"Dashboards\"]."
  value       = aws_cloudformation_stack.daswatch.outputs
}

output "stack_id" {
  description = "ARN of the stack."
  value       = aws_cloudformation_stack.daswatch.id
}
