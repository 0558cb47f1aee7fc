package strategy

// What the tests outside the package need to stand in for a node.
type (
	Backend   = backend
	SetParams = setParams
)

func NewPeerToPeerOn(on Backend, opts ...Option) *PeerToPeer { return newPeerToPeer(on, opts...) }
func NewSCSStoreOn(on Backend, opts ...StoreOption) *SCSStore {
	return newSCSStore(on, opts...)
}

func NewFiberStorageOn(on Backend, opts ...StoreOption) *FiberStorage {
	return newFiberStorage(on, opts...)
}

func NewTypedOn[T any](on Backend, codec Codec[T], opts ...Option) *Typed[T] {
	return newTyped(on, codec, opts...)
}
