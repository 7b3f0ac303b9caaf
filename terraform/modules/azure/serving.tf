# More machines behind an endpoint when more is asked of it. The endpoint is made by a run, before.

resource "azurerm_monitor_autoscale_setting" "this" {
  for_each            = var.autoscale
  name                = "${each.key}-${each.value.deployment}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  target_resource_id  = "${local.endpoints}/${each.key}/deployments/${each.value.deployment}"
  tags                = local.tags

  profile {
    name = "requests"

    capacity {
      minimum = each.value.minimum
      default = each.value.minimum
      maximum = each.value.maximum
    }

    dynamic "rule" {
      for_each = {
        Increase = { operator = "GreaterThan", threshold = each.value.requests }
        Decrease = { operator = "LessThan", threshold = each.value.requests / 2 }
      }
      content {
        metric_trigger {
          metric_name              = "RequestsPerMinute"
          metric_resource_id       = "${local.endpoints}/${each.key}"
          operator                 = rule.value.operator
          threshold                = rule.value.threshold
          divide_by_instance_count = true
          statistic                = "Average"
          time_aggregation         = "Average"
          time_grain               = "PT1M"
          time_window              = "PT5M"

          dimensions {
            name     = "deployment"
            operator = "Equals"
            values   = [each.value.deployment]
          }
        }

        scale_action {
          direction = rule.key
          type      = "ChangeCount"
          value     = 1
          cooldown  = "PT5M"
        }
      }
    }
  }
}

locals {
  endpoints = "${azurerm_machine_learning_workspace.this.id}/onlineEndpoints"
}
