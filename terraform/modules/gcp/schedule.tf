# A run that is launched by the clock: a small job whose command line is Trefoil's own.

resource "google_cloud_scheduler_job" "this" {
  count       = var.schedule == null ? 0 : 1
  project     = var.project
  region      = var.region
  name        = var.name
  description = "Launches a run"
  schedule    = var.schedule.expression
  time_zone   = var.schedule.timezone
  depends_on  = [google_cloud_run_v2_job_iam_member.schedule]

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.this[0].id}:run"

    oauth_token {
      service_account_email = google_service_account.schedule[0].email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }

  # Google knows no name for a repeated try: it would be a second job.
  retry_config {
    retry_count = 0
  }
}

# The scheduler itself starts this one job.
resource "google_service_account" "schedule" {
  count        = var.schedule == null ? 0 : 1
  project      = var.project
  account_id   = "${var.name}-schedule"
  display_name = "What the clock may start"
  depends_on   = [google_project_service.this]
}

resource "google_cloud_run_v2_job_iam_member" "schedule" {
  count    = var.schedule == null ? 0 : 1
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.this[0].name
  role     = "roles/run.invoker"
  member   = google_service_account.schedule[0].member
}

# And the job launches a run as a person would.
resource "google_service_account" "scheduled" {
  count        = var.schedule == null ? 0 : 1
  project      = var.project
  account_id   = "${var.name}-scheduled"
  display_name = "What a job that the clock started may do"
  depends_on   = [google_project_service.this]
}

resource "google_cloud_run_v2_job" "this" {
  count               = var.schedule == null ? 0 : 1
  project             = var.project
  location            = var.region
  name                = "${var.name}-scheduled"
  labels              = local.labels
  deletion_protection = false # it keeps nothing

  template {
    template {
      service_account = google_service_account.scheduled[0].email
      timeout         = "${var.schedule.hours * 3600}s"
      max_retries     = 0

      containers {
        image   = var.schedule.image
        command = var.schedule.command

        resources {
          limits = { cpu = "1", memory = var.schedule.memory }
        }

        # Trefoil reads its settings from there.
        dynamic "env" {
          for_each = { for key, value in local.settings : "TREFOIL_${upper(key)}" => try(tostring(value), jsonencode(value)) }
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }
}
