package access

// Arrival tells how an event's own time and the time at which Kafka took the record lie to each other. A source says
// its own time, and rosters, groups and approvals are those of that time: a late or early event may be told a day in
// which more was allowed.
type Arrival uint8

// The arrivals. Unknown is that of a record without a Kafka timestamp.
const (
	ArrivalUnknown Arrival = iota
	ArrivalPrompt          // within ArrivalTolerance
	ArrivalLate            // reported longer after it happened
	ArrivalEarly           // reported before it happened
)

func (a Arrival) String() string { return Arrivals.Word(uint8(a)) }

// Arrivals are the words of source.arrival.
var Arrivals = newVocabulary("prompt", "late", "early")

// ArrivalTolerance is how far an event's own time and its Kafka timestamp may lie apart, 24 hours. It is no setting of a
// worker: a verdict is made again from event and bundle alone.
const ArrivalTolerance Millis = 24 * 60 * 60 * 1000

// ArrivalOf compares an event's own time with its Kafka timestamp, which is negative where the record has none.
func ArrivalOf(own, kafka Millis) Arrival {
	switch lag := kafka - own; {
	case kafka < 0:
		return ArrivalUnknown
	case lag > ArrivalTolerance:
		return ArrivalLate
	case lag < -ArrivalTolerance:
		return ArrivalEarly
	}
	return ArrivalPrompt
}

// Arrival compares the event's own time with its Kafka timestamp.
func (e *Event) Arrival() Arrival { return ArrivalOf(e.Time, e.Kafka.Timestamp) }

// CopyTo makes dst a copy of e that shares no slice with it, keeping the capacity of dst's slices. Strings still point
// into the record.
func (e *Event) CopyTo(dst *Event) {
	items, via, groups := dst.Data.Items[:0], dst.Actor.Via[:0], dst.Actor.Groups[:0]
	*dst = *e
	dst.Data.Items = append(items, e.Data.Items...)
	dst.Actor.Via = append(via, e.Actor.Via...)
	dst.Actor.Groups = append(groups, e.Actor.Groups...)
}
