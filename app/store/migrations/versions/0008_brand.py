"""Brand: a product's colour, logo and own words in its notices."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brand",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("color", sa.Text(), server_default="", nullable=False),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.Column(
            "words",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="brand_product_id_fkey"),
        sa.PrimaryKeyConstraint("product_id", name="brand_pkey"),
    )


def downgrade() -> None:
    op.drop_table("brand")
