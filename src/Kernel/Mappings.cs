namespace Xfrmd.Kernel;

/// <summary>MAPPING events and their rate limit (<c>km_new_mapping</c>, XFRMA_MTIMER_THRESH).</summary>
internal static class Mappings
{
    public static void Tell(XfrmNamespace space, SecurityAssociation sa, in XfrmAddress address, Be16 port)
    {
        if (sa.State != SaState.Valid || sa.Encap is null)
        {
            return;
        }
        if (sa.MappingMaxAge != 0)
        {
            // jiffies / HZ: not the wall clock's seconds.
            ulong now = (ulong)(space.Time.GetTimestamp() / space.Time.TimestampFrequency);
            (ulong last, ushort lastPort) = sa.LastMapping;
            if (port.Value == lastPort && now - last <= sa.MappingMaxAge)
            {
                return;
            }
            sa.LastMapping = (now, port.Value);
        }
        space.KeyManagers.NewMapping(sa, address, port);
    }
}
