# The security group that the application's tasks run in; the database lets nobody else in.
# It may call PostgreSQL inside the VPC; add what else the application calls.

variable "name" {
  description = "Prefix of the names, <project>-<environment>"
  type        = string
}

variable "vpc_id" {
  description = "VPC of the application"
  type        = string
}

variable "vpc_cidr" {
  description = "Where the application may connect to: PostgreSQL inside the VPC"
  type        = string
}

resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5:the application's tasks are attached to it, and they are not of this repository

  name        = "${var.name}-app"
  description = "Application tasks of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-app" }
}

resource "aws_vpc_security_group_egress_rule" "postgresql" {
  security_group_id = aws_security_group.this.id
  description       = "PostgreSQL inside the VPC"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
  tags              = { Name = "${var.name}-app-postgresql" }
}

output "security_group_id" {
  description = "Security group of the application"
  value       = aws_security_group.this.id
}
