namespace Xfrmd.Linux;

/// <summary>Takes one reply while a request runs.</summary>
public delegate void NetlinkReplyHandler(NetlinkReply reply);
