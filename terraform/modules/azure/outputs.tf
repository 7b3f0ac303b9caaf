locals {
  settings = {
    subscription     = data.azurerm_client_config.this.subscription_id
    resource_group   = azurerm_resource_group.this.name
    ml_workspace     = azurerm_machine_learning_workspace.this.name
    region           = var.region
    storage_account  = azurerm_storage_account.this.name
    container        = azurerm_storage_container.this.name
    datastore        = azurerm_machine_learning_datastore_blobstorage.this.name
    prefix           = var.prefix
    identity         = azurerm_user_assigned_identity.this["train"].client_id
    serving_identity = azurerm_user_assigned_identity.this["serving"].id
    step_identities  = { deploy = azurerm_user_assigned_identity.this["deploy"].client_id }
    registry         = azurerm_container_registry.this.login_server
    tracking_uri     = var.tracking_uri
    experiment       = var.experiment
    tags             = local.tags
    compute          = azurerm_machine_learning_compute_cluster.this["cpu"].name
    spot_compute     = azurerm_machine_learning_compute_cluster.this["spot"].name
    instance_type    = var.instance_type
    overrides        = { deploy = { compute = "azureml:${azurerm_machine_learning_compute_cluster.this["deploy"].name}" } }
  }
}

output "settings" {
  description = "What --settings reads: each key is one of AzureSettings."
  value       = local.settings
}

output "ci" {
  description = "What a workflow signs in with, the identity and its tenant; null without ci."
  value = var.ci == null ? null : {
    client_id       = azurerm_user_assigned_identity.this["ci"].client_id
    tenant_id       = data.azurerm_client_config.this.tenant_id
    subscription_id = data.azurerm_client_config.this.subscription_id
  }
}
