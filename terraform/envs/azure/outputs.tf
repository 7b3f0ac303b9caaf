output "settings" {
  description = "For python -m pipelines.run --provider azure --settings FILE."
  value       = module.ground.settings
}

output "ci" {
  description = "What a workflow signs in with, the identity and its tenant; null without ci."
  value       = module.ground.ci
}
