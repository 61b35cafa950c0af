"""What auth's routes have to work with."""

from libs import service
from libs.database import Database
from libs.identity import Signer
from libs.usage import Usage
from services.auth.authorizer import Authorizer
from services.auth.changes import Changes
from services.auth.closures import Closures
from services.auth.csrf import Csrf
from services.auth.ingest import Ingest
from services.auth.limiter import Limiter
from services.auth.plans import Plans
from services.auth.signups import Signups


class State(service.State):
    """`sign_ins`: how many tries an hour a client address has."""

    authorizer: Authorizer
    signer: Signer
    csrf: Csrf
    database: Database
    changes: Changes
    plans: Plans
    signups: Signups
    limiter: Limiter
    sign_ins: int
    usage: Usage
    ingest: Ingest
    closures: Closures
