# Needs Python 3.11 or newer and make; everything else is set up here.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
# Packages that come as sources are built as PEP 517 says: older versions of pip would run their setup.py, and seqeval's
# then fetches whatever is newest.
INSTALL = install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt
PIP = $(BIN)/python -m pip $(INSTALL)
OVER = .venv/with-plugins
TESTS ?= tests plugins
PLUGINS = $(wildcard plugins/*/pyproject.toml)
TORTURE = $(CURDIR)/results/reference/torture.jsonl
PICTURES = quick-verdicts quick-curves quick-decoders optimizers-pareto optimizers-tuning optimizers-profile optimizers-ranks

# What of `check` is no test; two run at once.
CHECKS = check-style check-parts check-types check-documents

.PHONY: run test test-plugins large torture check $(CHECKS) bench docs site pictures references browser format wheel clean

# 3 says that it is complete, though a trial diverged: that is a result, not a fault.
run: .venv/run  ## the main job: five optimizers, three tasks, their answer
	$(BIN)/msbench run quick || test $$? -eq 3

test: .venv/dev  ## all tests
	$(BIN)/python -m pytest -q -n 2 --dist worksteal $(TESTS)

# Of what `msbench new` makes: what `make test` leaves out, or has not the packages for.
test-plugins: $(OVER)/installed  ## every package in plugins/ and what it needs, all together, and their tests; templates
	$(OVER)/bin/python -m pytest -q -n 2 --dist worksteal -m 'not large' -k 'not test_made.py or contract or hugging-face' \
		plugins tests/plugins/test_made.py

large: .venv/dev  ## the tests that fetch more than 15 MB (73 MB)
	$(BIN)/python -m pytest -q -m large $(TESTS)

torture: .venv/dev  ## every case of the attacks (hours), and the table of docs/reliability.md
	rm -f $(TORTURE)
	MSBENCH_TORTURE=$(TORTURE) $(BIN)/python -m pytest -q --timeout 14400 tests/attacks

check: .venv/dev  ## format, lint, types, floors, generated documents, identities, built-in parts, tests
	$(MAKE) --jobs 2 --output-sync $(CHECKS)
	$(MAKE) test

check-parts: .venv/dev
	$(BIN)/msbench check --no-plugins optimizers losses schedules models decoders metrics learners launchers observers commands \
		numbers-fr numbers-de stories-qa
	$(BIN)/msbench selftest

check-types: .venv/dev
	$(BIN)/mypy
	$(BIN)/lint-imports

check-documents: .venv/dev
	$(BIN)/cog --check --diff README.md docs/*.md plugins/*/README.md

check-style: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

bench: .venv/dev  ## how fast the pieces are (the ratios have scripts of their own)
	$(BIN)/python -m pytest -q --benchmark-enable benchmarks/parts.py

docs: .venv/dev  ## fill in the generated parts of the documents
	$(BIN)/cog -r README.md docs/*.md plugins/*/README.md

site: .venv/docs  ## the documents as one searchable site in build/site, every link of it checked
	$(BIN)/python docs/make_site.py

pictures: .venv/run  ## draw the pictures of the documents again, from results/reference
	for theme in light dark; do for picture in $(PICTURES); do \
		$(BIN)/msbench plot results/reference/$${picture%-*} --kind $${picture##*-} \
			--theme $$theme -o docs/pictures/$$picture-$$theme.svg >/dev/null || exit; \
	done; done

references: .venv/run  ## remake the records in results/reference, the cheapest suite first: SUITES="quick roles"
	$(BIN)/python studies/references.py $(SUITES)

browser:  ## what the tests of the report need (Debian; as root): a headless Chromium
	apt-get install -y --no-install-recommends chromium

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: .venv/dev
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf .venv build dist *.egg-info

# torch first and pinned: resolved together with others, it can pull in gigabytes of another build.
.venv/run: PACKAGES = --editable .
.venv/dev: PACKAGES = --editable '.[dev]' --editable plugins/msbench-schedulefree

.venv/run .venv/dev: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "msbench needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) $(PACKAGES)
	touch $@

.venv/docs: .venv/run
	$(PIP) --editable '.[docs]'
	touch $@

# An environment over that of the tests: it sees what is there, and adds to it while they run. The packages are built
# with the setuptools that torch has brought, not each with one of its own. Of the trackers the two that install in seconds.
$(OVER)/installed: .venv/dev $(PLUGINS)
	$(BIN)/python -m venv --clear --without-pip $(OVER)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir({!r})".format(sysconfig.get_path("purelib")))' \
		> $$(echo $(OVER)/lib/python*/site-packages)/below.pth
	$(BIN)/python -m pip --python $(OVER)/bin/python $(INSTALL) --no-compile --no-build-isolation \
		$(PLUGINS:%/pyproject.toml=--editable %) 'tensorboard>=2.18' 'trackio>=0.43'
	touch $@
