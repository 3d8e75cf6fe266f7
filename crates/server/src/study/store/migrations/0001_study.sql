-- Read by SQLite and by PostgreSQL alike: plain SQL, TEXT and BIGINT only. Moments are milliseconds since 1970 UTC.

CREATE TABLE study (
    id TEXT NOT NULL PRIMARY KEY,
    -- The SHA-256 of the manifest that the answers belong to.
    manifest TEXT NOT NULL,
    -- Signs sessions, pages and links.
    secret TEXT NOT NULL,
    -- 1 while new raters may begin, else 0.
    running BIGINT NOT NULL,
    -- How many raters withdrew.
    withdrawn BIGINT NOT NULL,
    -- Counts assignments. Whoever assigns a slot writes here first, so that there is one at a time.
    turn BIGINT NOT NULL
);

-- Who takes part. With a rater goes all that is known of one.
CREATE TABLE rater (
    name TEXT NOT NULL PRIMARY KEY,
    study TEXT NOT NULL REFERENCES study (id),
    slot BIGINT NOT NULL,
    source TEXT NOT NULL,
    began BIGINT NOT NULL,
    finished BIGINT
);

-- Who has which row of the schedule; free where nobody has.
CREATE TABLE slot (
    study TEXT NOT NULL REFERENCES study (id),
    number BIGINT NOT NULL,
    rater TEXT UNIQUE REFERENCES rater (name) ON DELETE SET NULL,
    PRIMARY KEY (study, number)
);

-- Who somebody is on a platform: the only table that says so. Its rows can be deleted without any other.
CREATE TABLE platform_id (
    study TEXT NOT NULL REFERENCES study (id),
    platform TEXT NOT NULL,
    id TEXT NOT NULL,
    rater TEXT NOT NULL REFERENCES rater (name) ON DELETE CASCADE,
    -- What the platform wants back, as JSON.
    details TEXT NOT NULL,
    PRIMARY KEY (study, platform, id)
);

-- Single-use links that were used.
CREATE TABLE used_link (
    study TEXT NOT NULL REFERENCES study (id),
    id TEXT NOT NULL,
    PRIMARY KEY (study, id)
);

CREATE TABLE answer (
    rater TEXT NOT NULL REFERENCES rater (name) ON DELETE CASCADE,
    trial BIGINT NOT NULL,
    -- What was said, as JSON.
    given TEXT NOT NULL,
    ms BIGINT NOT NULL,
    at BIGINT NOT NULL,
    width BIGINT,
    height BIGINT,
    PRIMARY KEY (rater, trial)
);

-- What the owner did.
CREATE TABLE event (
    study TEXT NOT NULL REFERENCES study (id),
    at BIGINT NOT NULL,
    what TEXT NOT NULL
);
