-- One row an upload. `pending` reserves the id and names the objects that a crash may leave; only `ready` is seen.
CREATE TABLE images (
    image_id    text PRIMARY KEY,
    account_id  text        NOT NULL,
    user_id     text        NOT NULL,
    status      text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'ready')),
    -- nginx's own id of the request: an upload that nginx sends again is known by it.
    request_id  text        UNIQUE,
    width       integer,
    height      integer,
    file_size   integer     NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX images_by_account ON images (account_id, created_at DESC, image_id DESC) WHERE status = 'ready';
CREATE INDEX images_by_user ON images (account_id, user_id, created_at DESC, image_id DESC) WHERE status = 'ready';
CREATE INDEX images_pending ON images (created_at) WHERE status = 'pending';
