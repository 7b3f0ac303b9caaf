# A run that is launched by the clock: a small job whose command line is Trefoil's own.

resource "azurerm_container_app_environment" "this" {
  count                      = var.schedule == null ? 0 : 1
  name                       = var.name
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.region
  logs_destination           = "log-analytics"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id
  tags                       = local.tags
}

resource "azurerm_container_app_job" "this" {
  count                        = var.schedule == null ? 0 : 1
  name                         = "${var.name}-scheduled"
  resource_group_name          = azurerm_resource_group.this.name
  location                     = var.region
  container_app_environment_id = azurerm_container_app_environment.this[0].id
  replica_timeout_in_seconds   = var.schedule.hours * 3600
  replica_retry_limit          = 0 # a repeated try would be a second run
  tags                         = local.tags
  depends_on                   = [azurerm_role_assignment.pull]

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.this["scheduled"].id]
  }

  registry {
    server   = azurerm_container_registry.this.login_server
    identity = azurerm_user_assigned_identity.this["scheduled"].id
  }

  schedule_trigger_config {
    cron_expression          = var.schedule.expression
    parallelism              = 1
    replica_completion_count = 1
  }

  template {
    container {
      name    = "launch"
      image   = var.schedule.image
      command = var.schedule.command
      cpu     = 1
      memory  = var.schedule.memory

      # Trefoil reads its settings from there, and Azure's SDK which identity it has.
      dynamic "env" {
        for_each = merge(
          { for key, value in local.settings : "TREFOIL_${upper(key)}" => try(tostring(value), jsonencode(value)) },
          { AZURE_CLIENT_ID = azurerm_user_assigned_identity.this["scheduled"].client_id },
        )
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }
}
