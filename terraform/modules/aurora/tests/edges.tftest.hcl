# The edges of the rules, from the inside.

mock_provider "aws" {}

variables {
  project_name                 = "miyabi"
  environment                  = "stg"
  vpc_id                       = "vpc-0123456789abcdef0"
  subnet_ids                   = ["subnet-a", "subnet-b"]
  app_security_group_id        = "sg-0aaaaaaaaaaaaaaaa"
  master_password              = "correct-horse-battery"
  kms_key_arn                  = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  performance_insights_enabled = false # its advice about small floors is tested in advice.tftest.hcl
}

run "accepts_a_floor_of_zero_from_15_7" {
  command = plan

  variables {
    min_capacity   = 0
    engine_version = "15.7"
  }
}

run "accepts_a_floor_of_zero_with_a_major_version_only" {
  command = plan

  variables {
    min_capacity   = 0
    engine_version = "15"
  }
}

run "accepts_a_floor_of_zero_from_17_0" {
  command = plan

  variables {
    min_capacity   = 0
    engine_version = "17.4"
  }
}

run "accepts_256_from_15_5" {
  command = plan

  variables {
    max_capacity   = 256
    engine_version = "15.5"
  }
}

run "accepts_128_before_15_5" {
  command = plan

  variables {
    max_capacity   = 128
    engine_version = "15.4"
  }
}

run "accepts_floor_equal_to_ceiling" {
  command = plan

  variables {
    min_capacity = 4.5
    max_capacity = 4.5
  }
}

run "accepts_windows_that_touch" {
  command = plan

  variables {
    preferred_backup_window      = "23:30-00:00"
    preferred_maintenance_window = "mon:00:00-mon:00:30"
  }
}

run "accepts_a_maintenance_window_over_the_end_of_the_week" {
  command = plan

  variables {
    preferred_maintenance_window = "sun:23:45-mon:00:15"
  }
}

run "accepts_backups_for_35_days" {
  command = plan

  variables {
    backup_retention_period = 35
  }
}

run "accepts_every_printable_letter_that_aurora_takes" {
  command = plan

  variables {
    master_password = "!#$%&'()*+,-.09:;<=>?AZ[\\]^_`az{|}~"
  }
}
