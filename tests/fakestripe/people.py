"""Routes of customers, products, prices, the account and its test clocks."""

from typing import Any

from msgspec.structs import replace

from tests.fakestripe import clock, standing
from tests.fakestripe.api import INCLUDED, PAGING, Request, page, route, shown
from tests.fakestripe.book import Book, Timeline
from tests.fakestripe.errors import Refused, invalid, missing
from tests.fakestripe.events import shape
from tests.fakestripe.periods import DAY
from tests.fakestripe.records import Customer, Price, Product, Record, Subscription, TestClock
from tests.fakestripe.shapes import Shape, listed
from tests.fakestripe.wire import Given

PERSON = (
    "email name phone description preferred_locales address metadata invoice_settings balance "
    "tax_exempt shipping"
)
TEXTS = ("email", "name", "phone", "description")


def _person(given: Given, old: Customer) -> Customer:
    """Give a customer as the request changes it; what it does not name stays."""
    changes: dict[str, Any] = {key: given.text(key) for key in TEXTS if key in given}
    if changes.get("email") is not None and "@" not in changes["email"]:
        raise invalid(f"Invalid email address: {changes['email']}", "email", "email_invalid")
    if "preferred_locales" in given:
        changes["locales"] = tuple(given.texts("preferred_locales"))
    if "address" in given:
        parts = given.group("address").tree
        changes["address"] = {**(old.address or {}), **parts} if parts else None
    method = given.text("payment_method") if "payment_method" in given else None
    settings = given.group("invoice_settings")
    if "default_payment_method" in settings:
        method = settings.text("default_payment_method")
    if method is not None:
        changes["payment_method"] = method
    return replace(old, **changes, metadata=given.merged(dict(old.metadata)))


@route("POST", "/v1/customers", f"{PERSON} payment_method test_clock")
def create_customer(request: Request) -> Record:
    book, clock_ = request.book, request.given.text("test_clock")
    if clock_ is not None:
        request.named(TestClock, clock_, param="test_clock")
        book.timeline = book.clocks[clock_]
    new = Customer(id=book.new_id("cus"), created=book.now, test_clock=clock_)
    return book.put(_person(request.given, new), "customer.created")


@route("GET", "/v1/customers/{id}")
def get_customer(request: Request) -> Record:
    return request.the(Customer)


def _living(request: Request) -> Customer:
    found = request.the(Customer)
    if found.deleted:
        raise missing("customer", found.id)
    return found


@route("POST", "/v1/customers/{id}", PERSON)
def update_customer(request: Request) -> Record:
    return request.book.change(_person(request.given, _living(request)), "customer.updated")


@route("DELETE", "/v1/customers/{id}")
def delete_customer(request: Request) -> Record:
    gone = _living(request)
    for of in request.book.all(Subscription):
        if of.customer == gone.id and not of.ended:
            standing.end(request.book, of, reason="cancellation_requested")
    # The event shows the customer as it was; only the API forgets.
    request.book.tell("customer.deleted", request.book.get(Customer, gone.id))
    return request.book.put(replace(gone, deleted=True))


@route("GET", "/v1/customers", f"{PAGING} email created test_clock")
def list_customers(request: Request) -> Shape:
    email, clock_ = request.given.text("email"), request.given.text("test_clock")
    created = request.given.span("created")
    return page(
        request,
        Customer,
        lambda each: (
            not each.deleted
            and email in {None, each.email}
            and each.test_clock == clock_
            and created(each.created)
        ),
    )


def _subscriptions(book: Book, customer: str) -> Shape:
    found = [
        each for each in book.all(Subscription) if each.customer == customer and not each.ended
    ]
    shapes = [shown(book, each) for each in reversed(found)]
    return listed(f"/v1/customers/{customer}/subscriptions", shapes)


INCLUDED["customer", "subscriptions"] = _subscriptions


def _thing(given: Given, old: Product) -> Product:
    active = given.flag("active")
    return replace(
        old,
        name=given.text("name") or old.name,
        description=given.text("description") if "description" in given else old.description,
        active=old.active if active is None else active,
        metadata=given.merged(dict(old.metadata)),
    )


@route("POST", "/v1/products", "name description active metadata")
def create_product(request: Request) -> Record:
    book = request.book
    request.given.needed("name")
    new = Product(id=book.new_id("prod"), created=book.now, updated=book.now, name="")
    return book.put(_thing(request.given, new), "product.created")


@route("POST", "/v1/products/{id}", "name description active metadata")
def update_product(request: Request) -> Record:
    changed = _thing(request.given, request.the(Product))
    return request.book.change(replace(changed, updated=request.book.now), "product.updated")


@route("GET", "/v1/products/{id}")
def get_product(request: Request) -> Record:
    return request.the(Product)


@route("GET", "/v1/products", f"{PAGING} active created")
def list_products(request: Request) -> Shape:
    active, created = request.given.flag("active"), request.given.span("created")
    return page(
        request,
        Product,
        lambda each: active in {None, each.active} and created(each.created),
    )


@route("POST", "/v1/prices", "currency unit_amount recurring product nickname lookup_key metadata")
def create_price(request: Request) -> Record:
    book, given, recurring = request.book, request.given, request.given.group("recurring")
    recurring.only(frozenset({"interval", "interval_count"}))
    product = request.named(Product, given.needed("product"), param="product")
    interval = None
    if "recurring" in given:
        recurring.needed("interval")
        interval = recurring.choice("interval", "day", "week", "month", "year")
    price = Price(
        id=book.new_id("price"),
        created=book.now,
        product=product.id,
        currency=given.needed("currency").lower(),
        unit_amount=given.whole("unit_amount") or 0,
        interval=interval,
        interval_count=recurring.whole("interval_count") or 1,
        nickname=given.text("nickname"),
        lookup_key=given.text("lookup_key"),
        metadata=given.merged({}),
    )
    return book.put(price, "price.created")


@route("GET", "/v1/prices/{id}")
def get_price(request: Request) -> Record:
    return request.the(Price)


@route("GET", "/v1/prices", f"{PAGING} active product created currency type")
def list_prices(request: Request) -> Shape:
    given = request.given
    active, created = given.flag("active"), given.span("created")
    product, currency = given.text("product"), given.text("currency")
    kind = given.choice("type", "one_time", "recurring")
    return page(
        request,
        Price,
        lambda each: (
            active in {None, each.active}
            and product in {None, each.product}
            and currency in {None, each.currency}
            and kind in {None, "one_time" if each.interval is None else "recurring"}
            and created(each.created)
        ),
    )


@route("GET", "/v1/account")
def get_account(request: Request) -> Shape:
    return request.account.shape()


@route("GET", "/v1/accounts/{id}")
def get_own_account(request: Request) -> Shape:
    if request.id != request.account.id:
        message = f"The provided key does not have access to account '{request.id}'."
        raise Refused(message, status=403, code="account_invalid")
    return request.account.shape()


CLOCKS = "/v1/test_helpers/test_clocks"


@route("POST", CLOCKS, "frozen_time name")
def create_clock(request: Request) -> Record:
    book = request.book
    if book.live:
        raise Refused("Test clocks exist in test mode only.", code="livemode_mismatch")
    request.given.needed("frozen_time")
    frozen = request.given.whole("frozen_time") or 0
    new = TestClock(
        id=book.new_id("clock"),
        created=book.now,
        frozen=frozen,
        name=request.given.text("name"),
        deletes_after=book.now + 30 * DAY,
    )
    book.clocks[new.id] = Timeline(frozen)
    return book.put(new, "test_helpers.test_clock.created")


@route("GET", CLOCKS + "/{id}")
def get_clock(request: Request) -> Record:
    return request.the(TestClock)


@route("GET", CLOCKS, PAGING)
def list_clocks(request: Request) -> Shape:
    return page(request, TestClock)


@route("POST", CLOCKS + "/{id}/advance", "frozen_time")
def advance_clock(request: Request) -> Shape:
    """Move the clock: all of it is done, yet the answer says `advancing`, as Stripe's does."""
    book, one = request.book, request.the(TestClock)
    request.given.needed("frozen_time")
    target = request.given.whole("frozen_time") or 0
    if target <= one.frozen:
        raise Refused("`frozen_time` must be after the clock's.", param="frozen_time")
    moved = replace(one, frozen=target)
    advancing = book.put(replace(moved, status="advancing"), "test_helpers.test_clock.advancing")
    clock.advance(book, book.clocks[one.id], target)
    book.put(moved, "test_helpers.test_clock.ready")
    return shape(advancing, live=False)
