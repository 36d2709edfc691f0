"""A folder of AWS's offer files: the sandbox's list written as AWS publishes one, JSON and CSV, in any region."""

import csv
import json

import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.price_list import PriceListError
from aurora_ops.core.errors import InputError
from aurora_ops.cost import plan as planning
from aurora_ops.cost.readers import price_files, prices
from aurora_ops.cost.readers.price_files import PriceFileError
from aurora_ops.cost.studies import history_study, option_study, range_study
from aurora_ops.sandbox.services import pricing

TOKYO = "ap-northeast-1"
COLUMNS = [
    "SKU", "OfferTermCode", "TermType", "EffectiveDate", "StartingRange", "EndingRange", "Unit", "PricePerUnit", "Currency",
    "Product Family", "serviceCode", "usageType", "Region Code", "Database Engine", "Instance Type", "Deployment Option",
]  # fmt: skip


def listed(service, region=TOKYO, renamed=None):
    """Products of the sandbox's list; under another region's name and prefix where `renamed` says so."""
    text = json.dumps([one for one in pricing.listed() if one["product"]["attributes"]["regionCode"] == region])
    for old, new in renamed or ():
        text = text.replace(old, new)
    return [one for one in json.loads(text) if one["serviceCode"] == service]


def as_json(path, service, published="2026-11-20", **which):
    products = listed(service, **which)
    content = {
        "formatVersion": "v1.0",
        "offerCode": service,
        "publicationDate": f"{published}T00:00:00Z",
        "products": {one["product"]["sku"]: one["product"] for one in products},
        "terms": {"OnDemand": {one["product"]["sku"]: one["terms"]["OnDemand"] for one in products}, "Reserved": {}},
    }
    path.write_text(json.dumps(content))


def as_csv(path, service, published="2026-11-20", **which):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        for pair in (("FormatVersion", "v1.0"), ("Disclaimer", "for information only, and nothing else"), ("Publication Date", f"{published}T00:00:00Z"), ("Version", "20261120"), ("OfferCode", service)):  # fmt: skip
            writer.writerow(pair)
        writer.writerow(COLUMNS)
        for one in listed(service, **which):
            product, attributes = one["product"], one["product"]["attributes"]
            [term] = one["terms"]["OnDemand"].values()
            [price] = term["priceDimensions"].values()
            for kind, usd in (("OnDemand", price["pricePerUnit"]["USD"]), ("Reserved", "0.0000000000")):
                writer.writerow([
                    product["sku"], "JRTCKXETXF", kind, term["effectiveDate"][:10], price["beginRange"], price["endRange"], price["unit"], usd, "USD",
                    product.get("productFamily", ""), service, attributes["usagetype"], attributes["regionCode"], attributes.get("databaseEngine", ""),
                    attributes.get("instanceType", ""), attributes.get("deploymentOption", ""),
                ])  # fmt: skip


SERVICES = ("AmazonRDS", "AmazonCloudWatch", "AWSSecretsManager", "awskms")


@pytest.mark.parametrize("write", [as_json, as_csv])
def test_a_folder_of_downloaded_files_gives_the_prices_that_stand_in_them(tmp_path, write):
    """
    Among decoys of other engines, previews for nothing and reserved terms; dated by the files and not by us.
    """
    for service in SERVICES:
        write(tmp_path / f"{service}.{write.__name__[3:]}", service)
    found, book = price_files.read(tmp_path, TOKYO), price_book.book(TOKYO)

    assert {"data_transfer_out_gb_first_10tb"} == set(book.prices) - set(found.prices)
    assert {item: pytest.approx(book.prices[item].usd) for item in found.prices} == {
        item: price.usd for item, price in found.prices.items()
    }
    assert {("price_list", "2026-11-20", ("F",))} == {
        (one.status, one.as_of, one.sources) for one in found.prices.values()
    }


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-east-1", ""), ("us-east-2", "USE2-"), ("us-west-1", "USW1-"), ("ca-central-1", "CAN1-"), ("ca-west-1", "CAW1-"), ("mx-central-1", "MXC1-"),
        ("sa-east-1", "SAE1-"), ("eu-central-1", "EUC1-"), ("eu-central-2", "EUC2-"), ("eu-north-1", "EUN1-"), ("eu-south-1", "EUS1-"),
        ("eu-south-2", "EUS2-"), ("eu-west-3", "EUW3-"), ("af-south-1", "AFS1-"), ("me-south-1", "MES1-"), ("me-central-1", "MEC1-"), ("il-central-1", "ILC1-"),
        ("ap-east-1", "APE1-"), ("ap-east-2", "APE2-"), ("ap-south-1", "APS3-"), ("ap-south-2", "APS5-"), ("ap-northeast-3", "APN3-"), ("ap-southeast-1", "APS1-"),
        ("ap-southeast-2", "APS2-"), ("ap-southeast-3", "APS4-"), ("ap-southeast-4", "APS6-"), ("ap-southeast-5", "APS7-"), ("ap-southeast-7", "APS9-"),
        ("us-gov-west-1", "UGW1-"), ("us-gov-east-1", "UGE1-"),
    ],
)  # fmt: skip
def test_any_region_is_read_whatever_its_usage_types_begin_with(tmp_path, region, prefix):
    """
    The packaged book knows seven; a file is read for any, and the plan is of that region.
    """
    for service in SERVICES:
        as_csv(tmp_path / f"{service}.csv", service, renamed=((TOKYO, region), ("APN1-", prefix)))

    found = planning.plan(region, prices=str(tmp_path))

    assert region == found.region
    assert ("PASS", 0.15) == (planning.report(found).verdict, found.book.price("acu_hour_standard").usd)


def test_the_newest_file_counts_and_files_of_other_kinds_are_left(tmp_path):
    """
    A folder collects downloads: of two lists of one region the later is taken, whatever the names; an index of regions is none.
    """
    as_json(tmp_path / "a.json", "AmazonRDS", "2026-11-20")
    as_csv(tmp_path / "b.csv", "AmazonRDS", "2026-05-01")
    (tmp_path / "b.csv").write_text((tmp_path / "b.csv").read_text().replace('"0.1500000000"', '"0.1900000000"'))
    (tmp_path / "region_index.json").write_text(json.dumps({"regions": {}}))
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")

    found = price_files.read(tmp_path, TOKYO)

    assert (0.15, "2026-11-20") == (found.price("acu_hour_standard").usd, found.price("acu_hour_standard").as_of)


def test_what_the_files_lack_is_named_and_no_fault(tmp_path):
    """
    With the list of RDS alone, the lines of other services are not priced: SKIP and not FAIL, and the sum says "at least".
    """
    as_csv(tmp_path / "rds.csv", "AmazonRDS")
    found = planning.plan(TOKYO, prices=str(tmp_path))
    report = planning.report(found)

    assert "PASS" == report.verdict
    [skipped] = [one for one in report.checks if one.verdict == "SKIP"]
    assert ("every line has a price", True) == (skipped.name, "secret (AWSSecretsManager)" in skipped.detail)


def test_all_four_pages_take_the_folder(tmp_path):
    """
    A price that only the folder has reaches each page's month.
    """
    as_csv(tmp_path / "rds.csv", "AmazonRDS")
    (tmp_path / "rds.csv").write_text((tmp_path / "rds.csv").read_text().replace('"0.1500000000"', '"0.3000000000"'))
    source = {"prices": str(tmp_path)}

    books = [
        planning.plan(**source).book,
        *(study("dev", **source).book for study in (range_study.study, option_study.study)),
        history_study.study("dev", **source).subject.book,
    ]

    assert [0.30] * 4 == [book.price("acu_hour_standard").usd for book in books]


def broken(path, how):
    as_json(path, "AmazonRDS")
    text = path.read_text()
    path.write_text({"cut": text[: len(text) // 2], "shape": text.replace('"priceDimensions"', '"dimensions"')}[how])


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("no folder", PriceFileError, "is no folder"),
        ("empty", PriceFileError, r"holds no price list file.*ap-northeast-1/index\.csv"),
        ("cut", PriceFileError, "cannot be read"),
        ("shape", PriceFileError, "no whole price list file"),
        ("another region", PriceFileError, "no price for ap-northeast-1.*files are of eu-west-1"),
        ("another unit", PriceListError, "rds.csv.*ACU-Sec"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(tmp_path, how, error, words):
    """
    Before anything is planned, with what to do.
    """
    folder = tmp_path / "prices"
    if how != "no folder":
        folder.mkdir()
    if how in ("cut", "shape"):
        broken(folder / "rds.json", how)
    if how == "another region":
        as_csv(folder / "rds.csv", "AmazonRDS", region="eu-west-1")
    if how == "another unit":
        as_csv(folder / "rds.csv", "AmazonRDS")
        (folder / "rds.csv").write_text((folder / "rds.csv").read_text().replace("ACU-Hr", "ACU-Sec"))

    with pytest.raises(error, match=words):
        planning.plan(TOKYO, prices=str(folder))


def test_a_source_that_is_none_is_refused():
    """
    Neither a word that is known nor a folder.
    """
    with pytest.raises(InputError, match="Did you mean 'live'"):
        prices.book(TOKYO, "liv")
