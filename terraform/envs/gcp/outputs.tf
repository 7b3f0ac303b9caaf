output "settings" {
  description = "For python -m pipelines.run --provider gcp --settings FILE."
  value       = module.ground.settings
}

output "ci" {
  description = "What a workflow signs in with, the provider and the account; null without ci."
  value       = module.ground.ci
}
