namespace Xfrmd.Netlink.Tests;

/// <summary>Tests beside which no other test of the process runs.</summary>
[CollectionDefinition(ScaleTests.Alone, DisableParallelization = true)]
public sealed class AloneCollection;
