using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>A chain that ends packets for one reason: counts them, shows some of them to who watches, drops them.</summary>
/// <param name="Name">Of the chain, and what the log's messages begin with.</param>
/// <param name="Counter">What Linux counts them as; null: it counts no such thing.</param>
/// <param name="Why">The reason in words, where the counter does not say it.</param>
internal sealed record NetfilterDropChain(string Name, XfrmCounter? Counter, string? Why = null)
{
    public static readonly NetfilterDropChain
        OutBlock = Counted(XfrmCounter.OutPolBlock), InBlock = Counted(XfrmCounter.InPolBlock), Require = Counted(XfrmCounter.InTmplMismatch), NoPolicy = Counted(XfrmCounter.InNoPols),
        Default = new("drop-default", null), Astray = new("drop-astray", null, "covered, and yet about to leave in clear past the TUN: other rules have changed its route");

    public static IReadOnlyList<NetfilterDropChain> All { get; } = [OutBlock, InBlock, Require, NoPolicy, Default, Astray];

    /// <summary>The name of its counter in the table.</summary>
    public string? CounterName => Counter is { } counter ? "Xfrm" + counter : null;

    public static NetfilterDropChain? Find(string name) => All.FirstOrDefault(chain => chain.Name == name);

    private static NetfilterDropChain Counted(XfrmCounter counter) => new("drop-Xfrm" + counter, counter);
}
