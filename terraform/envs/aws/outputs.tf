output "settings" {
  description = "For python -m pipelines.run --provider aws --settings FILE."
  value       = module.ground.settings
}

output "policy_arns" {
  description = "launch, endpoints and push: attach them to whoever launches runs, deploys, or builds images."
  value       = module.ground.policy_arns
}

output "ci_role_arn" {
  description = "What CI assumes; null without ci."
  value       = module.ground.ci_role_arn
}
