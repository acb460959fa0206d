namespace Xfrmd.PfKey.Abi;

/// <summary><c>SADB_SASTATE_*</c>.</summary>
public enum SadbSaState : byte
{
    Larval = 0,
    Mature = 1,
    Dying = 2,
    Dead = 3,
}
