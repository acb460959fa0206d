namespace Xfrmd.Kernel;

/// <summary>What happened to a policy.</summary>
public enum PolicyEventKind : byte { New, Update, Delete, Flush, Expire, Default }
