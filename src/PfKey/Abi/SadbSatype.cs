namespace Xfrmd.PfKey.Abi;

/// <summary><c>SADB_SATYPE_*</c>.</summary>
public enum SadbSatype : byte
{
    Unspec = 0,
    Ah = 2,
    Esp = 3,
    Rsvp = 5,
    Ospfv2 = 6,
    Ripv2 = 7,
    Mip = 8,
    XIpcomp = 9,

    /// <summary><c>SADB_SATYPE_MAX</c>.</summary>
    Max = XIpcomp,
}
