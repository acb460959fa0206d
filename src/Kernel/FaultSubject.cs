namespace Xfrmd.Kernel;

/// <summary>What a <see cref="FaultRule"/> is about: messages of one type.</summary>
/// <param name="IsPfKey">Of PF_KEY; else of NETLINK_XFRM.</param>
/// <param name="IsEvent">What listeners are told; else what a program asks.</param>
/// <param name="Type">XFRM_MSG_*, or SADB_*.</param>
public readonly record struct FaultSubject(bool IsPfKey, bool IsEvent, ushort Type);
