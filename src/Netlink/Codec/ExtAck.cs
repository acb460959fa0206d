namespace Xfrmd.Netlink.Codec;

/// <summary>What is known about a failure beside its number: <c>struct netlink_ext_ack</c>. The last message said is the one that is sent.</summary>
internal sealed class ExtAck
{
    public string? Message { get; private set; }

    /// <summary>Where the bad attribute stands in the request; null where none is to blame.</summary>
    public int? Offset { get; private set; }

    /// <summary>What that attribute should have been.</summary>
    public NlaPolicy? Policy { get; private set; }

    public bool IsEmpty => Message is null && Offset is null;

    /// <summary><c>NL_SET_ERR_MSG</c>.</summary>
    public void Say(string message) => Message = message;

    /// <summary><c>NL_SET_ERR_MSG_ATTR</c>, <c>NL_SET_ERR_MSG_ATTR_POL</c>.</summary>
    public void Blame(int offset, string message, NlaPolicy? policy = null)
    {
        Message = message;
        Offset = offset;
        Policy = policy;
    }

    public void Clear()
    {
        Message = null;
        Offset = null;
        Policy = null;
    }
}
