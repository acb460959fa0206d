namespace Xfrmd.Linux;

/// <summary>One <c>ip rule</c>: where a lookup with this mark (and, if named, this incoming interface) goes.</summary>
/// <param name="Priority">Order among the rules.</param>
/// <param name="Action">FR_ACT_TO_TBL, FR_ACT_GOTO or FR_ACT_NOP.</param>
/// <param name="Target">The table, or the priority that a goto leads to.</param>
/// <param name="Mark">Value of the mark.</param>
/// <param name="MarkMask">Bits of the mark that are compared; 0: any mark.</param>
/// <param name="InputInterface">Incoming interface, "lo" for what this host sends; null: any.</param>
public readonly record struct RouteRule(uint Priority, byte Action, uint Target = 0, uint Mark = 0, uint MarkMask = 0, string? InputInterface = null)
{
    public const byte ToTable = 1, Goto = 2, Nop = 3;
}
