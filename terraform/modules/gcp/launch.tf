# What people, CI and the clock may do: launch, watch and stop runs, look after endpoints.

locals {
  launchers = merge(
    { for each in var.launchers : each => each },
    var.ci == null ? {} : { ci = google_service_account.ci[0].member },
    var.schedule == null ? {} : { scheduled = google_service_account.scheduled[0].member },
  )
  pushers = merge(
    { for each in var.launchers : each => each },
    var.ci == null ? {} : { ci = google_service_account.ci[0].member },
  )
}

resource "google_project_iam_custom_role" "launch" {
  project     = var.project
  role_id     = "${local.role}.launch"
  title       = "${var.name}: launch"
  description = "Launch, watch and stop runs"
  permissions = concat(
    [for verb in ["cancel", "create", "delete", "get", "list"] : "aiplatform.pipelineJobs.${verb}"],
    local.custom_jobs,
    ["aiplatform.customJobs.delete", "aiplatform.metadataStores.get", "logging.logEntries.list"],
  )
}

resource "google_project_iam_member" "launch" {
  for_each = local.launchers
  project  = var.project
  role     = google_project_iam_custom_role.launch.name
  member   = each.value
}

# A run is launched with the accounts of its pipeline or its one job, and no other.
resource "google_service_account_iam_member" "launch" {
  for_each = {
    for pair in setproduct(keys(local.launchers), ["pipeline", "train", "deploy"]) :
    join(" ", pair) => { member = local.launchers[pair[0]], account = pair[1] }
  }
  service_account_id = {
    pipeline = google_service_account.pipeline.name
    train    = google_service_account.train.name
    deploy   = google_service_account.deploy.name
  }[each.value.account]
  role   = "roles/iam.serviceAccountUser"
  member = each.value.member
}

# Whoever builds images pushes them; runs that are launched by the clock need not.
resource "google_artifact_registry_repository_iam_member" "push" {
  for_each   = local.pushers
  project    = var.project
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.writer"
  member     = each.value
}
