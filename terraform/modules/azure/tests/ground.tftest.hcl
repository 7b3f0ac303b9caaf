# `terraform test` with a provider that is made up: what would be made, and what is refused.

mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = {
      subscription_id = "01234567-89ab-cdef-0123-456789abcdef"
      tenant_id       = "fedcba98-7654-3210-fedc-ba9876543210"
    }
  }
}

variables {
  region = "westeurope"
}

run "what_is_made_by_default" {
  assert {
    condition     = can(regex("^trefoil[0-9a-f]{6}$", output.settings.storage_account))
    error_message = "An account's name is shared by the whole world: it holds a digest of the subscription."
  }
  assert {
    condition     = output.settings.subscription == "01234567-89ab-cdef-0123-456789abcdef"
    error_message = "Runs would be sent to another subscription."
  }
  assert {
    condition     = output.settings.tags["trefoil.ground"] == "trefoil"
    error_message = "What is ours is told from others' by this tag."
  }
  assert {
    condition     = output.ci == null && length(azurerm_container_app_job.this) + length(azurerm_consumption_budget_resource_group.this) + length(azurerm_monitor_autoscale_setting.this) == 0
    error_message = "CI, schedule, budget and more machines are made for those who ask."
  }
  assert {
    condition     = toset(keys(azurerm_user_assigned_identity.this)) == toset(["workspace", "train", "deploy", "serving"])
    error_message = "An identity that nobody uses is one to be stolen."
  }
  assert {
    condition     = !azurerm_storage_account.this.shared_access_key_enabled && !azurerm_storage_account.this.allow_nested_items_to_be_public && azurerm_storage_container.this.container_access_type == "private"
    error_message = "The container is reached by an identity alone."
  }
  assert {
    condition     = azurerm_storage_account.this.min_tls_version == "TLS1_2" && azurerm_storage_account.this.https_traffic_only_enabled
    error_message = "It is reached by TLS alone."
  }
  assert {
    condition     = azurerm_storage_account.this.blob_properties[0].versioning_enabled && azurerm_storage_account.this.blob_properties[0].delete_retention_policy[0].days == 30
    error_message = "The container keeps what is written over."
  }
  assert {
    condition     = !azurerm_container_registry.this.admin_enabled && !azurerm_container_registry.this.anonymous_pull_enabled
    error_message = "Images would be had for a password, or for nothing."
  }
  assert {
    condition     = azurerm_key_vault.this.rbac_authorization_enabled && azurerm_key_vault.this.purge_protection_enabled
    error_message = "Roles alone say who may read a secret, and none is lost for good."
  }
  assert {
    condition     = azurerm_machine_learning_datastore_blobstorage.this.account_key == null && azurerm_machine_learning_datastore_blobstorage.this.shared_access_signature == null
    error_message = "The datastore would hold a key of the whole account."
  }
  assert {
    condition     = alltrue([for each in azurerm_machine_learning_compute_cluster.this : each.scale_settings[0].min_node_count == 0 && !each.ssh_public_access_enabled && !each.local_auth_enabled])
    error_message = "A cluster costs nothing while nothing runs, and nobody logs in to it."
  }
  assert {
    condition     = azurerm_machine_learning_compute_cluster.this[output.settings.spot_compute].vm_priority == "LowPriority" && azurerm_machine_learning_compute_cluster.this[output.settings.compute].vm_priority == "Dedicated"
    error_message = "Spot steps are of low priority, others are not."
  }
  assert {
    condition     = alltrue([for name, each in azurerm_machine_learning_compute_cluster.this : each.identity[0].identity_ids == toset([azurerm_user_assigned_identity.this[name == "deploy" ? "deploy" : "train"].id])])
    error_message = "A training could take on what the step deploy may do."
  }
  assert {
    condition     = azurerm_machine_learning_workspace.this.identity[0].identity_ids == toset([for name in ["workspace", "train"] : azurerm_user_assigned_identity.this[name].id])
    error_message = "A step on serverless machines has the identity of trainings; nothing there can be deploy."
  }
  assert {
    condition     = output.settings.overrides.deploy.compute == "azureml:deploy" && output.settings.step_identities.deploy == azurerm_user_assigned_identity.this["deploy"].client_id
    error_message = "The step deploy runs where its identity is."
  }
  assert {
    condition     = length(azurerm_role_assignment.launch) == 0 && keys(azurerm_role_assignment.endpoints) == ["deploy"]
    error_message = "Nobody may launch who was not named."
  }
}

run "ci_by_one_environment_of_one_repository" {
  variables {
    ci = { repository = "me/my-models", environment = "production" }
  }

  assert {
    condition     = azurerm_federated_identity_credential.ci[0].subject == "repo:me/my-models:environment:production"
    error_message = "Another branch or a fork could sign in."
  }
  assert {
    condition     = azurerm_federated_identity_credential.ci[0].issuer == "https://token.actions.githubusercontent.com" && azurerm_federated_identity_credential.ci[0].audience == tolist(["api://AzureADTokenExchange"])
    error_message = "A token of somebody else's would do."
  }
  assert {
    condition     = azurerm_federated_identity_credential.ci[0].parent_id == azurerm_user_assigned_identity.this["ci"].id && output.ci.client_id == azurerm_user_assigned_identity.this["ci"].client_id
    error_message = "A workflow signs in as CI, and is told so."
  }
  assert {
    condition     = azurerm_role_assignment.launch["ci"].principal_id == azurerm_user_assigned_identity.this["ci"].principal_id && contains(keys(azurerm_role_assignment.push), "ci")
    error_message = "CI launches runs, and pushes images."
  }
}

run "launchers_may_use_the_identities_of_steps" {
  variables {
    launchers = ["89abcdef-0123-4567-89ab-cdef01234567"]
  }

  assert {
    condition     = toset([for each in azurerm_role_assignment.steps : each.scope]) == toset([azurerm_user_assigned_identity.this["train"].id, azurerm_user_assigned_identity.this["deploy"].id])
    error_message = "Whoever can use any identity has all of its rights."
  }
  assert {
    condition     = azurerm_role_assignment.objects["89abcdef-0123-4567-89ab-cdef01234567"].scope == azurerm_storage_container.this.resource_manager_id
    error_message = "A run writes to its container, and nowhere else."
  }
}

run "the_clock_starts_one_job" {
  variables {
    schedule = {
      expression = "0 3 * * 1"
      image      = "trefoil.azurecr.io/me@sha256:${sha256("image")}"
      command    = ["python", "-m", "pipelines.run", "--provider", "azure"]
      hours      = 2
    }
  }

  assert {
    condition     = azurerm_container_app_job.this[0].schedule_trigger_config[0].cron_expression == "0 3 * * 1" && azurerm_container_app_job.this[0].replica_timeout_in_seconds == 7200
    error_message = "The job starts by the clock, and ends after its hours."
  }
  assert {
    condition     = azurerm_container_app_job.this[0].replica_retry_limit == 0 && azurerm_container_app_job.this[0].schedule_trigger_config[0].parallelism == 1
    error_message = "A repeated try would be a second run."
  }
  assert {
    condition     = azurerm_container_app_job.this[0].identity[0].identity_ids == toset([azurerm_user_assigned_identity.this["scheduled"].id])
    error_message = "The job launches with an identity of its own."
  }
  assert {
    condition     = { for each in azurerm_container_app_job.this[0].template[0].container[0].env : each.name => each.value }["TREFOIL_STORAGE_ACCOUNT"] == output.settings.storage_account
    error_message = "The job would launch a run without settings."
  }
  assert {
    condition     = { for each in azurerm_container_app_job.this[0].template[0].container[0].env : each.name => each.value }["AZURE_CLIENT_ID"] == azurerm_user_assigned_identity.this["scheduled"].client_id
    error_message = "Azure's SDK would look for another identity."
  }
  assert {
    condition     = contains(keys(azurerm_role_assignment.launch), "scheduled") && !contains(keys(azurerm_role_assignment.push), "scheduled")
    error_message = "What the clock starts launches runs, and pushes no images."
  }
}

run "runs_that_expire" {
  variables {
    expire_runs_after_days = 90
  }

  assert {
    condition     = one([for each in azurerm_storage_management_policy.this.rule : one(one(each.actions).base_blob).delete_after_days_since_modification_greater_than if each.name == "runs" && one(each.filters).prefix_match == toset(["trefoil/trefoil/runs/"])]) == 90
    error_message = "What runs leave is deleted after 90 days."
  }
}

run "an_alarm_over_money" {
  variables {
    budget = { monthly = 200, emails = ["me@example.com"] }
  }

  assert {
    condition     = azurerm_consumption_budget_resource_group.this[0].resource_group_id == azurerm_resource_group.this.id && azurerm_consumption_budget_resource_group.this[0].amount == 200
    error_message = "It is this group's money that is watched."
  }
  assert {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-01T00:00:00Z$", azurerm_consumption_budget_resource_group.this[0].time_period[0].start_date))
    error_message = "Azure takes the first of a month alone."
  }
  assert {
    condition     = { for each in azurerm_consumption_budget_resource_group.this[0].notification : each.threshold_type => each.threshold } == { Actual = 80, Forecasted = 100 }
    error_message = "One is told before the money is spent."
  }
}

run "more_machines_when_more_is_asked" {
  variables {
    autoscale = { digits = { deployment = "v3", maximum = 4 } }
  }

  assert {
    condition     = azurerm_monitor_autoscale_setting.this["digits"].target_resource_id == "${azurerm_machine_learning_workspace.this.id}/onlineEndpoints/digits/deployments/v3"
    error_message = "Another deployment would get the machines."
  }
  assert {
    condition     = azurerm_monitor_autoscale_setting.this["digits"].profile[0].capacity[0].minimum == 1 && azurerm_monitor_autoscale_setting.this["digits"].profile[0].capacity[0].maximum == 4
    error_message = "One machine at least, four at most."
  }
  assert {
    condition     = { for each in azurerm_monitor_autoscale_setting.this["digits"].profile[0].rule : each.scale_action[0].direction => each.metric_trigger[0].threshold } == { Increase = 600, Decrease = 300 }
    error_message = "More than 600 requests a minute and machine get another one; the rules must not undo each other."
  }
}

run "bad_names" {
  command = plan
  variables {
    region        = "West Europe"
    name          = "My_Models"
    prefix        = "/runs/"
    instance_type = "n2-standard-4"
    subnet        = "default"
    experiment    = ""
    tags          = { "trefoil.run" = "mine" }
  }
  expect_failures = [var.region, var.name, var.prefix, var.instance_type, var.subnet, var.experiment, var.tags]
}

run "more_bad_names_and_numbers" {
  command = plan
  variables {
    name                   = "my--models"
    tags                   = { "a/b" = "mine" }
    max_nodes              = 0
    expire_runs_after_days = 0.5
    budget                 = { monthly = 0, emails = ["me@example.com"] }
    autoscale              = { digits = { deployment = "v3", minimum = 3, maximum = 2 } }
    schedule               = { expression = "rate(7 days)", image = "me@sha256:${sha256("image")}", command = ["python"] }
  }
  expect_failures = [var.name, var.tags, var.max_nodes, var.expire_runs_after_days, var.budget, var.autoscale, var.schedule]
}

run "what_would_let_others_in" {
  command = plan
  variables {
    launchers    = ["me@example.com"]
    ci           = { repository = "me/*", environment = "*" }
    schedule     = { expression = "0 3 * * 1", image = "me:latest", command = ["python"] }
    tracking_uri = "https://me:secret@mlflow.example.com"
  }
  expect_failures = [var.launchers, var.ci, var.schedule, var.tracking_uri]
}

run "a_schedule_of_nothing" {
  command = plan
  variables {
    schedule = { expression = "0 3 * * 1", image = "me@sha256:${sha256("image")}", command = [] }
  }
  expect_failures = [var.schedule]
}

run "ci_by_one_branch" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production", branch = "main" }
  }

  assert {
    condition     = azurerm_federated_identity_credential.ci[0].subject == "repo:me/my-models:environment:production:ref:refs/heads/main"
    error_message = "A branch that the environment lets in could sign in."
  }
}

run "a_branch_by_a_pattern" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production", branch = "release/*" }
  }
  expect_failures = [var.ci]
}
