package decode

import (
	"strings"

	"borderwatch/schemas/access"
)

// who reads the actor: the role or account as the actor, the session's name as the session. An Insights event, which
// CloudTrail writes about unusual numbers of calls, has none.
func (t *trail) who() {
	actor, id := &t.ev.Actor, t.identity
	if id.absent() {
		actor.ID, actor.Kind = "cloudtrail.amazonaws.com", access.ActorSystem
		return
	}
	arn := id.get("arn").str()
	issuer := id.get("sessionContext", "sessionIssuer")
	switch kind := id.get("type").str(); kind {
	case "AssumedRole", "FederatedUser":
		role, session := t.role(arn)
		actor.ID = firstOf(issuer.get("arn").str(), role, issuer.get("userName").str())
		t.ev.Session.ID = firstOf(session, afterColon(id.get("principalId").str()))
	case "AWSService":
		actor.ID, actor.Kind = id.get("invokedBy").str(), access.ActorService
	case "AWSAccount":
		actor.ID = arn
		if isAnonymous(id) {
			actor.ID, actor.Kind = "anonymous", access.ActorAnonymous
		}
		t.ev.Session.ID = afterColon(id.get("principalId").str())
	case "":
		if arn == "" && id.get("invokedBy").str() != "" { // events of a service's own
			actor.ID, actor.Kind = id.get("invokedBy").str(), access.ActorService
		}
	}
	account := id.get("accountId").str()
	if id.get("type").str() == "AWSAccount" {
		actor.ID = firstOf(actor.ID, account)
	}
	actor.ID = firstOf(actor.ID, arn, id.get("userName").str(), id.get("onBehalfOf", "userId").str(),
		id.get("userId").str(), id.get("principalId").str(), id.get("accessKeyId").str(), account, "unknown")
	if platformRole(actor.ID) || !id.get("sessionContext", "ec2RoleDelivery").absent() {
		actor.Kind = access.ActorService
	}
	t.via()
	t.mfa()
}

// role splits arn:aws:sts::111122223333:assumed-role/ROLE/SESSION into the role's ARN, without the path that this form
// does not have, and the session.
func (t *trail) role(arn string) (role, session string) {
	head, resource, ok := strings.Cut(arn, ":assumed-role/")
	if !ok {
		_, session, _ = strings.Cut(arn, ":federated-user/")
		return arn, session
	}
	name, session, _ := strings.Cut(resource, "/")
	head = strings.Replace(head, ":sts:", ":iam:", 1)
	return t.join(head, ":role/", name), session
}

func afterColon(principal string) string {
	_, session, _ := strings.Cut(principal, ":")
	return session
}

func isAnonymous(id ref) bool {
	const anonymous = "ANONYMOUS_PRINCIPAL"
	return strings.EqualFold(id.get("accountId").str(), "anonymous") ||
		id.get("accountId").str() == anonymous || id.get("principalId").str() == anonymous
}

// platformRole reports a role that only an AWS service can take: a service-linked one.
func platformRole(arn string) bool { return strings.Contains(arn, ":role/aws-service-role/") }

// via reads the chain that stands behind a call, outermost first. The service that invoked a service's own call is that
// service; a person who is named behind one is always kept.
func (t *trail) via() {
	id, actor := t.identity, &t.ev.Actor
	invokedBy := id.get("invokedBy")
	if actor.Kind == access.ActorService {
		invokedBy = ref{}
	}
	for _, link := range [...]ref{
		id.get("onBehalfOf", "userId"), id.get("sessionContext", "sourceIdentity"), id.get("identityProvider"), invokedBy,
	} {
		if name := link.str(); name != "" && name != actor.ID {
			actor.Via, actor.ViaGiven = append(actor.Via, name), true
		}
	}
}

func (t *trail) mfa() {
	if yes, ok := t.identity.get("sessionContext", "attributes", "mfaAuthenticated").boolean(); ok {
		t.ev.Session.MFA = access.AnswerOf(yes)
	}
	switch t.record.get("additionalEventData", "MFAUsed").str() {
	case "Yes":
		t.ev.Session.MFA = access.Yes
	case "No":
		t.ev.Session.MFA = access.No
	}
}
