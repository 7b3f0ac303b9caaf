# An alarm over what the project spends: an alarm, not a limit.

resource "google_billing_budget" "this" {
  count           = var.budget == null ? 0 : 1
  billing_account = var.budget.billing_account
  display_name    = var.name

  budget_filter {
    projects = ["projects/${local.number}"]
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(var.budget.monthly_usd)
    }
  }

  dynamic "threshold_rules" {
    for_each = { CURRENT_SPEND = 0.8, FORECASTED_SPEND = 1 }
    content {
      spend_basis       = threshold_rules.key
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [for each in google_monitoring_notification_channel.budget : each.id]
    disable_default_iam_recipients   = true
  }
}

resource "google_monitoring_notification_channel" "budget" {
  for_each     = toset(var.budget == null ? [] : var.budget.emails)
  project      = var.project
  type         = "email"
  display_name = "${var.name}: ${each.key}"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.this]
}
