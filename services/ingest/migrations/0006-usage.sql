-- What accounts did, by day (UTC): names such as `images`, `bytes` and `refused.INVALID_IMAGE_FORMAT`.
CREATE TABLE usage (
    account_id text   NOT NULL,
    day        date   NOT NULL,
    name       text   NOT NULL,
    count      bigint NOT NULL,
    PRIMARY KEY (account_id, day, name)
);

CREATE INDEX usage_by_day ON usage (day);
