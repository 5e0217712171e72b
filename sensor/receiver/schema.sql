-- What the receiver keeps. Times are seconds since the epoch, UTC, by the sender's clock unless said otherwise.
-- Texts that are not known are NULL.

-- One row per container that was reported; over https, which has no ids, per container of a workload and image.
CREATE TABLE IF NOT EXISTS container (
  id INTEGER PRIMARY KEY,
  group_id TEXT NOT NULL,
  cluster TEXT NOT NULL,              -- '' when not known
  key TEXT NOT NULL,                  -- container id; 'host/NODE'; 'https/NAMESPACE/KIND/NAME/CONTAINER/IMAGE'
  sender_id TEXT NOT NULL,            -- whose generation it is
  generation INTEGER NOT NULL,
  source TEXT NOT NULL,               -- 'grpc' or 'https'
  container_id TEXT,
  runtime TEXT,
  node TEXT,
  namespace TEXT,
  workload_kind TEXT,
  workload_name TEXT,
  pod_name TEXT,
  pod_uid TEXT,
  container_name TEXT,
  image_name TEXT,
  image_digest TEXT,
  coverage TEXT NOT NULL,             -- 'complete' or 'partial'; over https '' (not said)
  coverage_reasons TEXT NOT NULL,     -- separated by spaces
  first_seen REAL NOT NULL,
  observed_at REAL NOT NULL,
  ended_at REAL,                      -- NULL while it runs
  received_at REAL NOT NULL,          -- of the last report, by the receiver's clock: what expiry goes by
  changed_at REAL NOT NULL,           -- of the last report that changed anything, by the receiver's clock
  package_set INTEGER REFERENCES package_set (id),
  package_times BLOB,                 -- pairs of little-endian int64 milliseconds, first and last seen, in the order
                                      -- of member.package
  observed_here REAL NOT NULL DEFAULT 0, -- observed_at by the receiver's clock, reckoned from the age that the sender
                                      -- told: what reports of different senders are compared by
  UNIQUE (group_id, cluster, key)
);
CREATE INDEX IF NOT EXISTS container_received ON container (received_at);
CREATE INDEX IF NOT EXISTS container_set ON container (package_set);
-- What a snapshot looks through.
CREATE INDEX IF NOT EXISTS container_running ON container (group_id, cluster, node) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS package (
  id INTEGER PRIMARY KEY,
  ecosystem TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT,
  purl TEXT NOT NULL,
  snyk_type TEXT NOT NULL,
  snyk_name TEXT NOT NULL,
  snyk_version TEXT,
  UNIQUE (purl, snyk_type, snyk_name, snyk_version)
);

-- Most containers run the same few images: what they have loaded is kept once for all that loaded the same.
CREATE TABLE IF NOT EXISTS package_set (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE         -- SHA-256 of its members
);
CREATE TABLE IF NOT EXISTS member (
  package_set INTEGER NOT NULL REFERENCES package_set (id) ON DELETE CASCADE,
  package INTEGER NOT NULL REFERENCES package (id),
  evidence TEXT NOT NULL,             -- 'bundled', 'opened', 'mapped', 'executed'; over https ''
  path TEXT NOT NULL,
  PRIMARY KEY (package_set, package)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_package ON member (package);

-- Answers to batches of the last two days, so that a batch that comes again gets the same.
CREATE TABLE IF NOT EXISTS batch (
  id TEXT PRIMARY KEY,
  received_at REAL NOT NULL,          -- by the receiver's clock
  response BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batch_received ON batch (received_at);

-- What the connector has posted, by its own key. manifest is NULL once deleted.
CREATE TABLE IF NOT EXISTS resource (
  org_id TEXT NOT NULL,
  cluster TEXT NOT NULL,
  api_version TEXT NOT NULL,
  kind TEXT NOT NULL,
  namespace TEXT NOT NULL,            -- '' of a cluster-wide resource
  name TEXT NOT NULL,
  manifest TEXT,                      -- JSON
  scanned_at TEXT NOT NULL,           -- as it was sent, RFC 3339
  deleted_at TEXT,
  received_at REAL NOT NULL,          -- by the receiver's clock
  PRIMARY KEY (org_id, cluster, api_version, kind, namespace, name)
) WITHOUT ROWID;

-- What the reconciler lists and deletes. body is the whole JSON:API resource object.
CREATE TABLE IF NOT EXISTS rest_object (
  org_id TEXT NOT NULL,
  type TEXT NOT NULL,                 -- 'container_image', 'project', 'target'
  id TEXT NOT NULL,
  body TEXT NOT NULL,                 -- JSON
  PRIMARY KEY (org_id, type, id)
) WITHOUT ROWID;

-- What is installed in an image, so that what is never loaded can be told.
CREATE TABLE IF NOT EXISTS sbom (
  id INTEGER PRIMARY KEY,
  image TEXT NOT NULL UNIQUE,         -- image name, or digest 'sha256:…'
  format TEXT NOT NULL,               -- 'cyclonedx' or 'spdx'
  received_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS sbom_component (
  sbom INTEGER NOT NULL REFERENCES sbom (id) ON DELETE CASCADE,
  purl TEXT NOT NULL,                 -- without qualifiers and subpath
  ecosystem TEXT NOT NULL,            -- type of the purl
  name TEXT NOT NULL,
  version TEXT,
  PRIMARY KEY (sbom, purl)
) WITHOUT ROWID;

-- What the page asks by.
CREATE INDEX IF NOT EXISTS container_place ON container (cluster, namespace);
CREATE INDEX IF NOT EXISTS container_image ON container (coalesce(image_name, image_digest, ''));
