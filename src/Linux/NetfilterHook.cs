namespace Xfrmd.Linux;

/// <summary><c>enum nf_inet_hooks</c>.</summary>
public enum NetfilterHook : uint { Prerouting = 0, LocalIn = 1, Forward = 2, LocalOut = 3, Postrouting = 4 }
