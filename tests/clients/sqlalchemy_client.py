# SPDX-License-Identifier: Apache-2.0
# SQLAlchemy with PyMySQL and with mysqlclient: reflection, a session's unit of work, a pool with resets.
import os

import sqlalchemy as sa
from sqlalchemy import orm

PORT, CA = os.environ["CF_PORT"], os.environ["CF_CA"]


def show(connection, sql, **values):
    print("sql", sql[:90])
    try:
        result = connection.execute(sa.text(sql), values)
        if result.returns_rows:
            print(" ", list(result.keys()))
            for row in result:
                print(" ", tuple(row))
        else:
            print("  rowcount", result.rowcount, result.lastrowid)
    except sa.exc.DBAPIError as error:
        print("  error", type(error).__name__, error.orig.args)


for driver in ("pymysql", "mysqldb"):
    print("driver", driver)
    engine = sa.create_engine(f"mysql+{driver}://u_empty:@127.0.0.1:{PORT}/shop?charset=utf8mb4&ssl_ca={CA}", pool_size=2, pool_pre_ping=True, future=True,
                              isolation_level="READ COMMITTED")
    print(engine.dialect.name)
    inspector = sa.inspect(engine)
    print(sorted(inspector.get_table_names()), [name for name in inspector.get_schema_names() if name != "crossfade"])
    metadata = sa.MetaData()
    metadata.reflect(engine, only=["wares", "kinds", "narrow"])
    for table in sorted(metadata.tables):
        for column in metadata.tables[table].columns:
            print("  column", table, column.name, column.type, column.nullable, column.primary_key)
        print("  indexes", inspector.get_indexes(table), inspector.get_foreign_keys(table))
    print(engine.dialect.server_version_info, engine.dialect.is_mariadb)

    Base = orm.declarative_base()

    class Item(Base):
        __tablename__ = "items"
        code = sa.Column(sa.String(40), primary_key=True)
        label = sa.Column(sa.String(60), nullable=False)
        stock = sa.Column(sa.Integer, nullable=False, default=0)

    class Order(Base):
        __tablename__ = "orders"
        id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=True)
        item = sa.Column(sa.String(40), sa.ForeignKey("items.code"))
        quantity = sa.Column(sa.Integer, nullable=False)
        note = sa.Column(sa.Text)
        of = orm.relationship(Item, backref="orders")

    with orm.Session(engine) as session:
        session.add_all([Item(code=f"{driver}{i}", label=f"L{i} 😀", orders=[Order(quantity=i), Order(quantity=-i, note="it's")]) for i in range(4)])
        session.flush()
        print("flushed", [o.id for o in session.query(Order).filter(Order.item.like(driver + "%")).order_by(Order.id)])
        session.commit()
        for item in session.query(Item).options(orm.joinedload(Item.orders)).order_by(Item.code):
            print(" ", item.code, item.label, item.stock, [(o.id, o.quantity, o.note) for o in sorted(item.orders, key=lambda o: o.id)])
        one = session.get(Item, driver + "1")
        one.stock += 7
        one.orders[0].of = session.get(Item, driver + "2")
        session.commit()
        print([(o.item, o.quantity) for o in session.query(Order).filter(Order.item.in_([driver + "1", driver + "2"])).order_by(Order.id)])
        with session.begin_nested() as nested:
            session.execute(sa.update(Item).where(Item.code == "fig").values(stock=Item.stock + 1))
            nested.rollback()
        session.add(Order(item="nothing", quantity=1))
        try:
            session.commit()
        except sa.exc.IntegrityError as error:
            print("integrity", error.orig.args)
            session.rollback()
        print("deleted", session.execute(sa.delete(Order).where(Order.item == driver + "3")).rowcount)
        print("bulk", session.execute(sa.insert(Order), [{"item": "fig", "quantity": n} for n in range(5)]).rowcount)
        session.commit()
    with engine.connect() as connection:
        with open(os.environ["CF_STATEMENTS"], encoding="utf-8") as f:
            for line in f:
                line = line.rstrip("\n")
                # SQLAlchemy looks for parameters of its own behind colons, and keeps transactions itself.
                if ":" not in line and not line.startswith(("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT")):
                    show(connection, line)
        show(connection, "SELECT :a, :b, :c", a="é😀", b=None, c=1.5)
        connection.rollback()
        show(connection, "SELECT COUNT(*), SUM(quantity) FROM orders")
        print(connection.get_isolation_level())
    first, second = engine.connect(), engine.connect()
    show(first, "SELECT code FROM items WHERE code = 'fig' FOR UPDATE")
    first.close()  # the pool rolls back
    show(second, "UPDATE items SET stock = 5 WHERE code = 'fig'")
    second.close()
    engine.dispose()
print("end")
