"""What all tables have in common."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
Moment = DateTime(timezone=True)


def of_product(*, primary_key: bool = False) -> Column[int]:
    """Give the column that says whose a row is."""
    return Column(
        "product_id",
        Integer,
        ForeignKey("product.id"),
        nullable=False,
        primary_key=primary_key,
        autoincrement=False,
    )
