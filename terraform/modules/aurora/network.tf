# Where the cluster lives, and who may reach it: the application's security group, on one port.

resource "aws_db_subnet_group" "this" {
  name        = "${local.name}-subnets"
  description = "Private subnets of ${local.cluster_id}"
  subnet_ids  = var.subnet_ids
  tags        = merge(local.tags, { Name = "${local.name}-subnets" })
}

# No egress rule: a database answers, it does not call.
resource "aws_security_group" "this" {
  name        = "${local.name}-sg"
  description = "PostgreSQL of ${local.cluster_id}, reachable from the application only"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-sg" })
}

resource "aws_vpc_security_group_ingress_rule" "from_application" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.app_security_group_id
  description                  = "PostgreSQL from the application"
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  tags                         = merge(local.tags, { Name = "${local.name}-from-application" })
}
