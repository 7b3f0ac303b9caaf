# An alarm over what the resource group spends: an alarm, not a limit.

resource "azurerm_consumption_budget_resource_group" "this" {
  count             = var.budget == null ? 0 : 1
  name              = var.name
  resource_group_id = azurerm_resource_group.this.id
  amount            = var.budget.monthly
  time_grain        = "Monthly"

  time_period {
    start_date = formatdate("YYYY-MM-'01T00:00:00Z'", plantimestamp())
  }

  dynamic "notification" {
    for_each = { Actual = 80, Forecasted = 100 }
    content {
      threshold_type = notification.key
      operator       = "GreaterThan"
      threshold      = notification.value
      contact_emails = var.budget.emails
    }
  }

  # It begins in the month in which it was made, and stays that way.
  lifecycle {
    ignore_changes = [time_period]
  }
}
