const KEY = 'zpulse_admin_token'

export interface Credentials {
  username: string
  password: string
}

export interface Token {
  access_token: string
  token_type: string
}

// Pages are also rendered on the server, which has no localStorage.
const storage = () => (typeof window === 'undefined' ? null : window.localStorage)

export function getToken(): string | null {
  return storage()?.getItem(KEY) ?? null
}

export function setToken(token: string): void {
  storage()?.setItem(KEY, token)
}

export function removeToken(): void {
  storage()?.removeItem(KEY)
}

export function isAuthenticated(): boolean {
  const token = getToken()
  return token !== null && !isExpired(token)
}

// The token is a JWT; `exp` is in seconds. A token that cannot be read is not used.
function isExpired(token: string): boolean {
  try {
    const payload = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')
    const { exp } = JSON.parse(atob(payload))
    return typeof exp === 'number' && exp * 1000 <= Date.now()
  } catch {
    return true
  }
}

/** Asks for a token as the backend wants it: a form (OAuth2PasswordRequestForm). */
export async function login({ username, password }: Credentials): Promise<Token> {
  const response = await fetch('/api/auth/token', {
    method: 'POST',
    body: new URLSearchParams({ username, password }),
  })
  if (!response.ok) {
    throw new Error(response.status === 401 ? '用户名或密码错误' : `登录失败 (${response.status})`)
  }
  return response.json()
}
