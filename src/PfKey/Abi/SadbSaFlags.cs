namespace Xfrmd.PfKey.Abi;

/// <summary><c>SADB_SAFLAGS_*</c>.</summary>
[Flags]
public enum SadbSaFlags : uint
{
    None = 0,

    /// <summary>Linux ignores it.</summary>
    Pfs = 1,
    NoPmtuDisc = 0x20000000,
    DecapDscp = 0x40000000,
    NoEcn = 0x80000000,
}
