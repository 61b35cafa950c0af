-- What accounts did, by day (UTC): names such as `calls` and `refused.RATE_LIMIT_EXCEEDED`.
CREATE TABLE auth.usage (
    account_id text   NOT NULL,
    day        date   NOT NULL,
    name       text   NOT NULL,
    count      bigint NOT NULL,
    PRIMARY KEY (account_id, day, name)
);

CREATE INDEX usage_by_day ON auth.usage (day);
