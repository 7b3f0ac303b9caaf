output "settings" {
  description = "For python -m pipelines.run --provider aws --settings FILE."
  value       = module.ground.settings
}

output "policy_arns" {
  description = "launch, endpoints and push: attach them to whoever launches runs, deploys, or builds images."
  value       = module.ground.policy_arns
}

output "ci" {
  description = "What a workflow signs in with, the role and the region; null without ci."
  value       = module.ground.ci
}
